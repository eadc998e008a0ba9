import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** A business that writes to people. The application's own table; the service needs these columns. */
@Entity('companies')
export class Company {
  @PrimaryGeneratedColumn('uuid', { primaryKeyConstraintName: 'companies_pkey' })
  id!: string;

  @Column('text', { nullable: true })
  name!: string | null;

  /** The sender of the company's SMS, in E.164. */
  @Column('text', { name: 'phone_number', nullable: true })
  phoneNumber!: string | null;
}
